//! Devices, cost, placement policies, assemblies.
