"""Judge a product: statistics, metrics, gains over the coarse input, and the protocol that joins them."""
