// SPDX-License-Identifier: BSD-3-Clause
#include "faults/flips.h"

#include "support/test_env.h"

#include <algorithm>

namespace daxpin::faults {

namespace {

crash::Bytes damaged(const Specimen &specimen, const Fault &fault) {
    const auto in = [&](const std::vector<crash::Bytes> &images) {
        return std::span(images[fault.device]).subspan(fault.offset, fault.length);
    };
    const auto was =
        in(fault.damage == Damage::older ? specimen.earlier[fault.which].images : specimen.images);
    crash::Bytes bytes(was.begin(), was.end());
    std::uint64_t state = fault.offset;
    for (std::byte &byte : bytes) {
        switch (fault.damage) {
        case Damage::flip:
            byte ^= std::byte(1U << fault.which);
            break;
        case Damage::zeros:
            byte = std::byte{0};
            break;
        case Damage::ones:
            byte = std::byte{0xff};
            break;
        case Damage::garbage:
            byte = std::byte(test::split_mix(state) & 0xff);
            break;
        case Damage::older:
            break;
        }
    }
    return bytes;
}

bool changes_something(const Specimen &specimen, const Fault &fault) {
    const auto is = std::span(specimen.images[fault.device]).subspan(fault.offset, fault.length);
    return !std::ranges::equal(is, damaged(specimen, fault));
}

// Calls back with each aligned piece that has something in use, once, but those of the newest
// record.
template <typename Body>
void for_each_piece(const Specimen &specimen, std::uint32_t bytes, Body body) {
    std::pair<unsigned, std::uint64_t> done{}; // pieces before this one are
    for (const Span &span : specimen.in_use)
        for (auto piece = std::max(done, {span.device, span.offset / bytes});
             piece.second * bytes < span.offset + span.length; ++piece.second) {
            done = {span.device, piece.second + 1};
            if (!specimen.newest.overlaps(span.device, piece.second * bytes, bytes))
                body(span.place, span.device, piece.second * bytes);
        }
}

} // namespace

std::string to_string(const Specimen &specimen, const Fault &fault) {
    static constexpr const char *damages[] = {"", "zeros", "ones", "garbage"};
    std::string text = std::string(to_string(fault.place)) + " at block " +
                       std::to_string(fault.offset / block_size) + ", byte " +
                       std::to_string(fault.offset % block_size) + " (--at " +
                       std::to_string(fault.device) + ":" + std::to_string(fault.offset) + "), ";
    if (fault.damage == Damage::flip)
        return text + "bit " + std::to_string(fault.which);
    if (fault.damage == Damage::older)
        return text + "as it was " + specimen.earlier[fault.which].name;
    return text + std::to_string(fault.length) + " bytes of " +
           damages[static_cast<unsigned>(fault.damage)];
}

std::vector<Fault> every_bit(const Specimen &specimen) {
    std::vector<Fault> faults;
    for (const Span &span : specimen.in_use)
        for (std::uint64_t at = span.offset; at < span.offset + span.length; ++at)
            for (std::uint8_t bit = 0; bit < 8; ++bit)
                faults.push_back({span.place, Damage::flip, bit, 1, span.device, at});
    return faults;
}

std::vector<Fault> every_piece(const Specimen &specimen, std::uint32_t bytes) {
    std::vector<Fault> faults;
    for_each_piece(specimen, bytes, [&](Place place, unsigned device, std::uint64_t offset) {
        for (const Damage damage : {Damage::zeros, Damage::ones, Damage::garbage}) {
            const Fault fault{place, damage, 0, bytes, device, offset};
            if (changes_something(specimen, fault))
                faults.push_back(fault);
        }
    });
    return faults;
}

std::vector<Fault> every_older_block(const Specimen &specimen) {
    std::vector<Fault> faults;
    for_each_piece(specimen, block_size, [&](Place place, unsigned device, std::uint64_t offset) {
        crash::Bytes last; // of the moment before
        for (std::uint8_t i = 0; i < specimen.earlier.size(); ++i) {
            const Fault fault{place, Damage::older, i, block_size, device, offset};
            auto bytes = damaged(specimen, fault);
            if (bytes != last && changes_something(specimen, fault))
                faults.push_back(fault);
            last = std::move(bytes);
        }
    });
    return faults;
}

std::set<std::uint64_t> inodes_hit(const Specimen &specimen, const Fault &fault) {
    std::set<std::uint64_t> inodes;
    const auto add = [&](const std::vector<Span> &spans) {
        for (const Span &span : spans)
            if (span.overlaps(fault.device, fault.offset, fault.length))
                inodes.insert(span.inodes.begin(), span.inodes.end());
    };
    add(specimen.in_use);
    if (fault.damage == Damage::older)
        add(specimen.earlier[fault.which].in_use);
    return inodes;
}

void apply(const Specimen &specimen, const Fault &fault, crash::Scratch &scratch) {
    scratch.write(fault.device, fault.offset, damaged(specimen, fault));
}

} // namespace daxpin::faults
