// SPDX-License-Identifier: BSD-3-Clause
#include "crash/verifier.h"

#include "tools/fsck/check.h"

#include <algorithm>
#include <xxhash.h>

namespace daxpin::crash {

namespace {

// Of the states that equal one checked before, every so-many-th is checked all the same.
constexpr std::uint64_t merged_sample = 64;

std::string check_media(const MediaList &media, const std::string &when,
                        std::optional<std::size_t> quarantined_max) {
    const auto report = fsck::check(test::open_table(media));
    for (const auto &finding : report.findings) {
        if (finding.severity == fsck::Severity::error)
            return "fsck " + when + ": " + finding.text;
    }
    if (quarantined_max && report.counts.quarantined_blocks > *quarantined_max)
        return "fsck " + when + ": " + std::to_string(report.counts.quarantined_blocks) +
               " blocks in quarantine, of " + std::to_string(*quarantined_max) + " that are mapped";
    return report.clean() ? "" : "fsck " + when + ": not clean";
}

} // namespace

Verifier::Verifier(const Image &image, std::uint64_t seed, Counters &counters)
    : image_(image), seed_(seed), counters_(counters) {}

void Verifier::look_at(const Workload &workload, const Recording &recording,
                       Expectation &expectation) {
    workload_ = &workload;
    recording_ = &recording;
    expectation_ = &expectation;
}

// ---- identity of a state ------------------------------------------------------------------------

bool Verifier::is_journal(MediaBlock block) const {
    const auto &superblock = recording_->superblock;
    if (block.device() != 0)
        return false;
    const std::uint64_t number = block.block();
    return number == superblock.tail_cell_a || number == superblock.tail_cell_b ||
           (number >= superblock.ring_start &&
            number - superblock.ring_start < superblock.ring_blocks);
}

bool Verifier::is_free(const Scratch &scratch, MediaBlock block) const {
    const std::uint64_t group = block.block() / format::blocks_per_group;
    const std::uint64_t bit = block.block() % format::blocks_per_group;
    const std::uint64_t chunk = recording_->superblock.devices[block.device()].bitmap_start + group;
    const auto bytes = std::as_const(*scratch.media()[0]).bytes();
    const std::byte byte = bytes[chunk * block_size + format::bitmap_header_bytes + bit / 8];
    return (byte >> (bit % 8) & std::byte{1}) == std::byte{0};
}

namespace {

std::uint64_t block_hash(const Scratch &scratch, MediaBlock block) {
    const auto bytes = std::as_const(*scratch.media()[block.device()]).bytes();
    return XXH3_64bits_withSeed(bytes.data() + block.block() * block_size, block_size, block.value);
}

std::uint64_t reference_hash(MediaBlock block, const Bytes &initial) {
    return XXH3_64bits_withSeed(initial.data() + block.block() * block_size, block_size,
                                block.value);
}

} // namespace

// Sum over the blocks that may differ from the initial image; equal images have equal sums.
std::uint64_t Verifier::metadata_hash(const Scratch &scratch) const {
    std::set<std::uint64_t> blocks = scratch.advanced();
    for (const MediaBlock block : scratch.touched())
        blocks.insert(block.value);
    std::uint64_t sum = 0;
    for (const std::uint64_t value : blocks) {
        const MediaBlock block{value};
        if (!recording_->data_blocks.contains(value))
            sum += block_hash(scratch, block) -
                   reference_hash(block, recording_->initial[block.device()]);
    }
    return sum;
}

std::uint64_t Verifier::live_hash(const Scratch &scratch) const {
    std::set<std::uint64_t> blocks = scratch.advanced();
    for (const MediaBlock block : scratch.touched())
        blocks.insert(block.value);
    std::uint64_t sum = 0;
    for (const std::uint64_t value : blocks) {
        const MediaBlock block{value};
        if (!is_journal(block) && !is_free(scratch, block))
            sum += block_hash(scratch, block) -
                   reference_hash(block, recording_->initial[block.device()]);
    }
    for (const auto &media : scratch.media()) {
        const auto poison = media->poison();
        if (poison.length > 0)
            sum += XXH3_64bits_withSeed(&poison, sizeof poison, sum);
    }
    return sum;
}

namespace {

std::uint64_t key_of(std::uint64_t live, std::uint64_t path) {
    return XXH3_64bits_withSeed(&live, sizeof live, path);
}

// Data that is partly old and partly new is legal for one operation only.
std::uint64_t key_of(std::uint64_t live, std::uint64_t before, std::uint64_t after) {
    return key_of(key_of(live, before), after);
}

} // namespace

// ---- checks -------------------------------------------------------------------------------------

std::string Verifier::check(Scratch &scratch, const Position &position) {
    ++counters_.states;
    if (metadata_images_.insert(metadata_hash(scratch)).second)
        ++counters_.metadata_images;
    const auto leasing = position.leasing(*recording_);
    test::TestEnv env(seed_ + 1000);
    env.set_boot(leasing.boot);
    auto volume = volume::Volume::open(test::open_table(scratch.media()), env, mount_options());
    if (!volume)
        return "recovery failed: " + daxpin::describe(volume.error());
    if (auto text =
            check_media(scratch.media(), "after recovery", position.quarantined_max(*recording_));
        !text.empty())
        return text;
    std::uint64_t live = live_hash(scratch);
    for (const std::uint64_t block : leasing.mapped) // equal states, unequal duties
        live = key_of(live, block);
    if (was_checked(position, live) && ++counters_.merged % merged_sample != 0)
        return {};
    ++counters_.full_checks;
    return check_recovered(scratch, position, std::move(*volume), live);
}

// States with equal live bytes are equal to a user; those that were found to be one of the dumps
// expected here need no second look.
bool Verifier::was_checked(const Position &position, std::uint64_t live) const {
    const std::uint64_t before = path(position.before), after = path(position.after);
    if (checked_.contains(key_of(live, before, after)) || checked_.contains(key_of(live, after)))
        return true;
    return !position.acknowledged() && checked_.contains(key_of(live, before));
}

void Verifier::remember(const Position &position, std::uint64_t live,
                        const Expectation::Match &match) {
    checked_.insert(key_of(live, path(position.before), path(position.after)));
    if (match.wrong.empty() && match.is_exact)
        checked_.insert(key_of(live, match.path));
}

// Without asking the oracle: one operation has two outcomes at most, in all its crash states.
std::string Verifier::count_outcomes(const Dump &found, const Position &position) {
    if (position.acknowledged())
        return {};
    const std::uint64_t operation = key_of(0, path(position.before), path(position.after));
    const bool in_place = writes_in_place(recording_->steps[position.before].operation.op);
    auto &outcomes = outcomes_[operation];
    outcomes.insert(hash_of(found, !in_place));
    return outcomes.size() > 2 ? "a third outcome of one operation" : "";
}

std::string Verifier::check_recovered(Scratch &scratch, const Position &position,
                                      std::unique_ptr<volume::Volume> volume, std::uint64_t live) {
    const auto dump = take_dump(*volume);
    if (!dump)
        return daxpin::describe(dump.error());
    const std::string outcomes = count_outcomes(*dump, position);
    const Expectation::Match found = expectation_->match(*dump, position);
    remember(position, live, found);
    if (!found.wrong.empty())
        return found.wrong + (outcomes.empty() ? "" : "; " + outcomes);
    if (!outcomes.empty())
        return outcomes;
    volume.reset();
    test::TestEnv env(seed_ + 2000);
    env.set_boot(position.leasing(*recording_).boot);
    auto again = volume::Volume::open(test::open_table(scratch.media()), env, mount_options());
    if (!again)
        return "second mount: " + daxpin::describe(again.error());
    if ((*again)->records_replayed() > 0)
        return "a clean unmount left records to replay";
    const auto second = take_dump(**again);
    if (!second)
        return "second mount: " + daxpin::describe(second.error());
    if (auto text = difference(*second, *dump); !text.empty())
        return "second mount: " + text;
    if (auto text = expectation_->use(**again, *dump, position); !text.empty())
        return text;
    if (auto text = delete_everything(**again, *dump); !text.empty())
        return text;
    again->reset();
    if (auto text = check_quarantine(scratch, position); !text.empty())
        return text;
    return check_space(scratch, found);
}

// The volume was emptied, but programs may still map what they had leased.
std::string Verifier::check_quarantine(const Scratch &scratch, const Position &position) const {
    for (const std::uint64_t block : position.leasing(*recording_).mapped)
        if (is_free(scratch, MediaBlock{block}))
            return "block " + std::to_string(MediaBlock{block}.block()) +
                   " is free, and a program may map it";
    return {};
}

std::string Verifier::check_space(Scratch &scratch, const Expectation::Match &match) {
    test::TestEnv env(seed_ + 3000);
    const auto space = space_after_boot(scratch.media(), env);
    if (!space)
        return "the emptied volume: " + daxpin::describe(space.error());
    try {
        return difference(*space, expected_space(match));
    } catch (const Problem &problem) {
        return "without a crash: " + problem.text;
    }
}

namespace {

// Blocks freed under a lease of an earlier mount stay out of use until this one ends, bad ones
// until the next begins.
bool withholds_blocks(const Workload &workload) {
    const auto withholds = [](const Operation &operation) {
        return operation.op == Op::lease || operation.op == Op::spoil;
    };
    return std::ranges::any_of(workload.setup, withholds) ||
           std::ranges::any_of(workload.steps, withholds);
}

} // namespace

// The space of a run that came to the same outcome, was unmounted in peace and then emptied.
const Space &Verifier::expected_space(const Expectation::Match &match) {
    const auto known = space_.find(match.path);
    if (known != space_.end())
        return known->second;
    Session session(*workload_, image_, seed_);
    session.prepare();
    session.mount();
    expectation_->reach(session, match.outcome);
    if (!withholds_blocks(*workload_)) {
        if (const std::string text = check_room(session); !text.empty())
            throw Problem{text};
    }
    session.unmount();
    session.mount();
    const auto dump = take_dump(session.volume());
    std::string text = dump ? "" : daxpin::describe(dump.error());
    if (text.empty())
        text = try_every_directory(session.volume(), *dump);
    if (text.empty())
        text = delete_everything(session.volume(), *dump);
    if (!text.empty())
        throw Problem{text};
    session.unmount();
    const auto space = space_after_boot(session.media(), session.env());
    if (!space)
        throw Problem{daxpin::describe(space.error())};
    return space_[match.path] = *space;
}

} // namespace daxpin::crash
