"""How sure a product is: intervals, errors without a truth, and where a model may be asked."""
