"""What people and programs see of a run: session plugins, the tables that they show, and saved runs read back."""
