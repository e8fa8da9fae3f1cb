//! Makes the graph that evaluates from the one that trains.
