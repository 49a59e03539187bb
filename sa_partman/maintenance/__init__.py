"""The services: provision, prune, check and status over a MetaData."""
