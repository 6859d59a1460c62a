"""From photographs or a video to poses and sparse points: structure from motion.

`reconstruct` goes through the stages, each of which is kept and not done again: photographs are laid out
(`photographs`) or frames of a video chosen (`frames`), features are found, matched over the pairs that
`pairs` names, and photographs placed. The latter three are COLMAP's, called through pycolmap in a process of
their own (`worker`), since it may end with the process that it is in.
"""
