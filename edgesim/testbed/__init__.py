"""From a deployment to folders that devices execute, and their execution by real processes over real sockets."""
