"""Networks: data sets, models, costs, training, filter graphs, partitions and partitioned inference; torch lives only here."""
