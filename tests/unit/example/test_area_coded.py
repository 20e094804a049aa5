"""The places of the example's area-coded file."""

import numpy as np

from local_h5_example.area_coded import NO_COUNTY_EVERY, NO_DISTRICT_EVERY, coarser_places


def test_at_large_seats_are_00_and_some_places_are_not_known() -> None:
    codes = np.repeat(np.array([201, 3701, 3702, 4401], np.int32), [400, 400, 40, 400])
    household = {
        "congressional_district_geoid": codes,
        "county_fips": np.array([f"{code // 100:02d}001" for code in codes], dtype=object),
    }
    made = coarser_places(household)
    district, county = made["congressional_district_geoid"], made["county_fips"]
    assert set(district.tolist()) == {0, 200, 3701, 3702, 4400}
    number = np.arange(len(codes))
    without = (number % NO_DISTRICT_EVERY == 0) & (codes != 3702)
    assert np.array_equal(district == 0, without)
    assert np.array_equal(county == "", without | (number % NO_COUNTY_EVERY == 0))
    assert (household["county_fips"] != "").all()
