"""What plugins hand to the harness: plans, recipes, outcomes. Nothing here imports torch."""
