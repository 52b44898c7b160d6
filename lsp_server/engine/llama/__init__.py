"""The llama.cpp back end.

Reading order: backend (takes jobs in, uses the pauses), steps (several jobs, each step one batch),
right_of_way (who may interrupt whom), task (a job at work), cells, slots and reuse (how a prompt is
made out of the KV cache of an earlier one), refresh (what was moved, evaluated again in a pause),
keeper (prompts that outlive the engine), kv_store and kv_file (the folder they lie in, and their
format), healing (tokens typed in part), corpus and ngrams (what the workspace's texts lead to
expect), speculation (several tokens a step), gauge (how fast the model is here; measure is a
process that finds it out for a model no engine runs).
Where the model goes: placement (what is tried, in which order), estimate (what that needs), memory
(what is free), loading (until llama.cpp agrees). Nearest to llama.cpp, and with loading the only
importers of llama_cpp: model (the KV cache), weights, adapters (LoRA), devices (GPUs), tokenizer,
sampler, native.
"""
