"""Giving data sets, runs and predictions to others: what is sent, its card, where it goes."""
