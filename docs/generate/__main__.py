"""Write every page anew."""

from docs.generate import capacity, checks, command_line, decisions, hooks, performance, plugins, study

decisions.write()
for module in (capacity, checks, command_line, hooks, performance, study):
    module.PAGE.write_text(module.page(), encoding="utf-8")
plugins.PRUNERS.write_text(plugins.pruners(), encoding="utf-8")
plugins.TASKS.write_text(plugins.tasks(), encoding="utf-8")
study.draw()
decisions.draw()
