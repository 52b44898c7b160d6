"""Infilling: HumanEval-Infilling pass@1 and CrossCodeEval-Python."""
