"""Where snippets come from; each source gives its own, best first.

Reading order: view (what is known of the cursor's place), then one source a module: definitions
(names near the cursor), hierarchy (base classes), usages, undefined (what is used and not defined
yet), similar (windows about the same), siblings (test and implementation), recent (edits and
looks), pinned. They look at other files and at what the prompt does not show of the open one.
What becomes of their snippets is told in ``context.related``.
"""
