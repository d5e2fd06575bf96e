"""Ways to fill a satellite's gaps, each usable alone, from the nearest day to what learns from all of them."""
