"""The public data on the Hugging Face hub: what a repository holds, which of it is wanted, and fetching it.

``repository`` asks the hub, ``plan`` compares its listing with the calendar, ``transfer`` fetches one file,
``download`` many of them; ``pace`` is how long to wait when the hub says no.
"""
