"""Samples: from a cube to the arrays that models learn from, and back."""
