// SPDX-License-Identifier: BSD-3-Clause
#include "crash/verifier.h"

#include "tools/fsck/check.h"

#include <cstring>
#include <xxhash.h>

namespace daxpin::crash {

namespace {

// Of the states that equal one checked before, every so-many-th is checked all the same.
constexpr std::uint64_t merged_sample = 64;

std::string check_media(const MediaList &media, const std::string &when) {
    const auto report = fsck::check(test::open_table(media));
    for (const auto &finding : report.findings) {
        if (finding.severity == fsck::Severity::error)
            return "fsck " + when + ": " + finding.text;
    }
    return report.clean() ? "" : "fsck " + when + ": not clean";
}

// In-place data may be old or new in each aligned word that the operation wrote; bytes that are
// the same before and after must be so here too.
bool is_mixture(const Bytes &found, const Bytes &before, const Bytes &after) {
    for (std::size_t i = 0; i < found.size(); ++i) {
        const bool old_byte = i < before.size() && found[i] == before[i];
        const bool new_byte = i < after.size() && found[i] == after[i];
        if (!old_byte && !new_byte)
            return false;
        if (i % 8 != 0 || i + 8 > found.size() || i + 8 > before.size() || i + 8 > after.size())
            continue;
        if (std::memcmp(&found[i], &before[i], 8) != 0 && std::memcmp(&found[i], &after[i], 8) != 0)
            return false;
    }
    return true;
}

const Bytes &data_of(const Dump &dump, std::uint64_t number) {
    static const Bytes none;
    const auto file = dump.files.find(number);
    return file == dump.files.end() ? none : file->second.data;
}

bool data_is_mixture(const Dump &found, const Dump &before, const Dump &after) {
    for (const auto &[number, file] : found.files) {
        if (!is_mixture(file.data, data_of(before, number), data_of(after, number)))
            return false;
    }
    return true;
}

// Punching and zeroing overwrite the parts of blocks at the edges of their range in place.
bool writes_in_place(Op op) {
    return op == Op::write || op == Op::append || op == Op::copy || op == Op::mapped_write ||
           op == Op::fallocate;
}

} // namespace

void Counters::add(const Counters &other) {
    workloads += other.workloads;
    crash_points += other.crash_points;
    states += other.states;
    nested_states += other.nested_states;
    metadata_images += other.metadata_images;
    merged += other.merged;
    full_checks += other.full_checks;
    acknowledgements += other.acknowledgements;
    redundant_flushes += other.redundant_flushes;
    repeated_flushes += other.repeated_flushes;
    redundant_drains += other.redundant_drains;
    dropped_bytes += other.dropped_bytes;
    violations += other.violations;
}

Verifier::Verifier(const Workload &workload, Start start, std::uint64_t seed,
                   const Recording &recording, Counters &counters)
    : workload_(workload), start_(start), seed_(seed), recording_(recording), counters_(counters) {}

// ---- identity of a state ------------------------------------------------------------------------

bool Verifier::is_journal(MediaBlock block) const {
    const auto &superblock = recording_.superblock;
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
    const std::uint64_t chunk = recording_.superblock.devices[block.device()].bitmap_start + group;
    const auto bytes = std::as_const(*scratch.media()[0]).bytes();
    const std::byte byte = bytes[chunk * block_size + format::bitmap_header_bytes + bit / 8];
    return (byte >> (bit % 8) & std::byte{1}) == std::byte{0};
}

namespace {

std::uint64_t block_hash(const Scratch &scratch, MediaBlock block) {
    const auto bytes = std::as_const(*scratch.media()[block.device()]).bytes();
    return XXH3_64bits_withSeed(bytes.data() + block.block() * block_size, block_size, block.value);
}

std::uint64_t reference_hash(const Scratch &scratch, MediaBlock block, const Bytes &initial) {
    static_cast<void>(scratch);
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
        if (!recording_.data_blocks.contains(value))
            sum += block_hash(scratch, block) -
                   reference_hash(scratch, block, recording_.initial[block.device()]);
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
                   reference_hash(scratch, block, recording_.initial[block.device()]);
    }
    return sum;
}

// ---- checks -------------------------------------------------------------------------------------

std::string Verifier::check(Scratch &scratch, const Position &position) {
    ++counters_.states;
    if (metadata_images_.insert(metadata_hash(scratch)).second)
        ++counters_.metadata_images;
    test::TestEnv env(seed_ + 1000);
    auto volume = volume::Volume::open(test::open_table(scratch.media()), env, mount_options());
    if (!volume)
        return "recovery failed: " + daxpin::describe(volume.error());
    if (auto text = check_media(scratch.media(), "after recovery"); !text.empty())
        return text;
    const std::uint64_t key = live_hash(scratch) * 31 + position.before * 2 + position.after;
    if (!checked_.insert(key).second && ++counters_.merged % merged_sample != 0)
        return {};
    ++counters_.full_checks;
    return check_recovered(scratch, position, std::move(*volume));
}

std::string Verifier::match(const Dump &found, const Position &position, std::size_t &index) const {
    const Dump &before = recording_.dumps[position.before];
    const Dump &after = recording_.dumps[position.after];
    index = position.after;
    const std::string not_after = difference(found, after);
    if (not_after.empty())
        return {};
    if (position.acknowledged())
        return "an acknowledged state is gone: " + not_after;
    index = position.before;
    const std::string not_before = difference(found, before);
    if (not_before.empty())
        return {};
    if (writes_in_place(recording_.steps[position.before].operation.op)) {
        for (const std::size_t candidate : {position.after, position.before}) {
            index = candidate;
            if (difference(found, recording_.dumps[candidate], false).empty() &&
                data_is_mixture(found, before, after))
                return {};
        }
    }
    return "neither before (" + not_before + ") nor after (" + not_after + ") the operation";
}

std::string Verifier::check_recovered(Scratch &scratch, const Position &position,
                                      std::unique_ptr<volume::Volume> volume) {
    const auto dump = take_dump(*volume);
    if (!dump)
        return daxpin::describe(dump.error());
    std::size_t index = 0;
    if (auto text = match(*dump, position, index); !text.empty())
        return text;
    volume.reset();
    test::TestEnv env(seed_ + 2000);
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
    if (auto text = try_every_directory(**again, *dump); !text.empty())
        return text;
    if (auto text = delete_everything(**again, *dump); !text.empty())
        return text;
    again->reset();
    return check_space(scratch, index);
}

std::string Verifier::check_space(Scratch &scratch, std::size_t index) {
    test::TestEnv env(seed_ + 3000);
    const auto space = space_after_boot(scratch.media(), env);
    if (!space)
        return "the emptied volume: " + daxpin::describe(space.error());
    return difference(*space, expected_space(index));
}

// The space of a run that reached dump `index`, was unmounted in peace and then emptied.
const Space &Verifier::expected_space(std::size_t index) {
    const auto known = space_.find(index);
    if (known != space_.end())
        return known->second;
    Session session(workload_, start_, seed_);
    session.prepare();
    session.mount();
    for (std::size_t i = 0; i < index; ++i)
        session.run(session.steps()[i].operation);
    session.unmount();
    session.mount();
    auto text = try_every_directory(session.volume(), recording_.dumps[index]);
    if (text.empty())
        text = delete_everything(session.volume(), recording_.dumps[index]);
    if (!text.empty())
        throw Problem{"without a crash: " + text};
    session.unmount();
    const auto space = space_after_boot(session.media(), session.env());
    if (!space)
        throw Problem{"without a crash: " + daxpin::describe(space.error())};
    return space_[index] = *space;
}

} // namespace daxpin::crash
