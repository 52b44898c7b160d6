"""The prompts of other completion tools, rebuilt, on the same model as midfill's."""
