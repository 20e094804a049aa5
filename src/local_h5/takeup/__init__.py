"""Take-up of programmes, with the same draws as the calibration.

``draws`` makes the random numbers, ``programmes`` reads the definitions of the programmes, ``rates`` computes rates,
``eligibility`` stores who may take up where, ``anchors`` adjusts a rate for reported recipients, ``prepare`` combines
these once for a source and a geography, ``table`` is the result, and ``assign`` decides for the units of one file.
"""
