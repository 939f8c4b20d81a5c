"""The contract: what travels on hotdesk's topics, and how it is written down.

Every other room depends on this one and it depends on none of them, so a collector, a controller and a reader can
be upgraded one after the other as long as they agree about what stands here.
"""
