"""Fits: what to train next, and what the results prove. Pure functions."""
