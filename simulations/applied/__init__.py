"""Applied studies: gates at work on data, real ones and such with hidden domains, in paired splits.

`study` says what such a study is and cuts it into cells, `tasks` makes the data of a split, `models` fits and scores a
model on it, `tables` sums up, `pictures` draws. Cells are run, kept and looked at as those of all studies are.
"""
