"""What a merger computes of the features that arrived, besides a head that learns with the students."""
