"""What a run measured, kept beside the code, and whether a later run is worse or better."""
