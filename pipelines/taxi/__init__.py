"""Chicago taxi trips: does a trip earn a big tip, told with pick-up and drop-off clusters."""
