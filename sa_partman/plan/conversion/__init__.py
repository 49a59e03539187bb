"""Converting tables that exist: what has to be done, in which order, and what stands in the way. Pure."""
