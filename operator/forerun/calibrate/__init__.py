"""How much one replica serves within a latency objective: measured, and written into the Storefront's file."""
