"""Networks: data sets, models, costs, training, filter graphs, partitions and partitioned inference; torch lives only here."""

from edgesim.files.temporary import leave_no_compiler_folder

leave_no_compiler_folder()
