"""What people and programs see of a run. Each file is a session plugin."""
