"""Who takes up which programme, draw for draw as the calibration assumed.

``draws`` makes the random numbers, ``programmes`` reads the programmes' definitions, ``rates`` turns them into numbers,
``eligibility`` keeps who may take up where, ``anchors`` adjusts a rate for reported recipients, ``prepare`` puts these
together once for a source and a geography, ``store`` keeps the result in a folder, and ``assign`` decides for the units
of one file. Only ``programmes`` and ``prepare`` need more than numpy.
"""
