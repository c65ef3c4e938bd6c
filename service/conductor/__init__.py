"""Conducts fits: makes their decisions in any process of the API, under a lease in SQL."""
