import numpy as np
import pytest

from npuexplore.audio.rooms import EARLY_S, SOUND_M_PER_S, _images, _reflection, room_response

RATE_HZ = 16_000


def response(distance_m, t60_s, seed):
    return room_response(
        distance_m=distance_m, t60_s=t60_s, rate_hz=RATE_HZ, rng=np.random.default_rng(seed)
    ).astype(np.float64)


def direct_to_rest_db(response):
    """Energy of the first 2.5 ms against the rest."""
    first = int(0.0025 * RATE_HZ)
    return 10.0 * np.log10(np.square(response[:first]).sum() / np.square(response[first:]).sum())


@pytest.mark.parametrize("distance_m", [0.1, 0.5, 2.0, 20.0])
@pytest.mark.parametrize("t60_s", [0.01, 0.3, 2.0])
def test_a_room_begins_with_the_direct_sound(distance_m, t60_s):
    for seed in range(5):
        heard = response(distance_m, t60_s, seed)
        assert heard.size == int(max(t60_s, EARLY_S) * RATE_HZ) + 1
        assert heard[0] == pytest.approx(1.0)
        assert np.isfinite(heard).all()


@pytest.mark.parametrize("t60_s", [0.2, 0.4, 0.6])
def test_sound_decays_by_60_db_in_the_reverberation_time(t60_s):
    measured_s = []
    for seed in range(20):
        left_db = 10.0 * np.log10(np.cumsum(np.square(response(1.5, t60_s, seed))[::-1])[::-1])
        falling = [int(np.argmax(left_db < left_db[0] - fall_db)) for fall_db in (5.0, 25.0)]
        measured_s.append(3.0 * (falling[1] - falling[0]) / RATE_HZ)
    assert np.median(measured_s) == pytest.approx(t60_s, rel=0.2)


def test_a_talker_farther_away_is_drowned_in_the_room():
    shares_db = [
        np.median([direct_to_rest_db(response(distance_m, 0.4, seed)) for seed in range(40)])
        for distance_m in (0.3, 0.8, 2.0)
    ]
    assert shares_db[0] > shares_db[1] + 5.0 > shares_db[2] + 8.0


def test_every_wall_sends_back_one_first_reflection():
    room, listener, talker = np.array([5.0, 4.0, 2.5]), np.array([1.0, 2.5, 1.2]), np.array([3.0, 1.0, 1.6])
    delays_s, gains = _images(room, listener, talker, 0.7)
    direct_m = np.linalg.norm(talker - listener)
    for axis in range(3):
        for wall_m in (0.0, room[axis]):
            mirrored = talker.copy()
            mirrored[axis] = 2.0 * wall_m - talker[axis]
            path_m = np.linalg.norm(mirrored - listener)
            near = np.abs(delays_s - (path_m - direct_m) / SOUND_M_PER_S) < 1e-9
            assert gains[near] == pytest.approx([0.7 * direct_m / path_m])
    assert delays_s.min() == 0.0
    assert delays_s.max() < EARLY_S


def test_all_images_are_those_of_mirrors_of_mirrors():
    room, listener, talker = np.array([3.0, 2.5, 2.4]), np.array([1.0, 0.7, 1.2]), np.array([1.9, 1.6, 1.1])
    places, rank = {tuple(talker.round(9)): 0}, [talker]
    for order in range(1, 22):
        mirrored = [
            np.where(np.arange(3) == axis, 2.0 * wall_m - place, place)
            for place in rank
            for axis in range(3)
            for wall_m in (0.0, room[axis])
        ]
        rank = []
        for place in mirrored:
            if tuple(place.round(9)) not in places and np.linalg.norm(place - listener) < 20.0:
                places[tuple(place.round(9))] = order
                rank.append(place)
    direct_m = np.linalg.norm(talker - listener)
    paths_m = {place: np.linalg.norm(np.array(place) - listener) for place in places}
    expected = sorted(
        (direct_m / path_m * 0.8 ** places[place])
        for place, path_m in paths_m.items()
        if (path_m - direct_m) / SOUND_M_PER_S < EARLY_S
    )
    np.testing.assert_allclose(np.sort(_images(room, listener, talker, 0.8)[1]), expected, rtol=1e-6)


def test_walls_that_send_back_more_ring_longer():
    room = np.array([5.0, 4.0, 2.5])
    assert 0.1 <= _reflection(room, 0.01) < _reflection(room, 0.3) < _reflection(room, 1.0) < 1.0
