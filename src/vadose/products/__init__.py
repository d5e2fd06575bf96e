"""Data sources: one record and one reader each, joined in the table `PRODUCTS`."""
