# tests: shared parts; unit tests are listed beside their module.
