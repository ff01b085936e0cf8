"""The pages of the manual that show code: every block is run."""
