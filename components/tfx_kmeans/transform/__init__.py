"""Clusters as features: mappers that work on dictionaries of tensors."""
