"""The listening room: one file per verb that shows, measures, changes or makes a sound."""
