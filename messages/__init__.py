"""The contract: the records on hotdesk's topics, and their form as bytes.

Every other package depends on this one and it depends on none of them, so a collector, a controller and a reader can
be upgraded one after the other as long as they agree about what stands here.
"""
