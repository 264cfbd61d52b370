// SPDX-License-Identifier: BSD-3-Clause
#include "faults/flips.h"

#include "support/test_env.h"

#include <algorithm>

namespace daxpin::faults {

namespace {

crash::Bytes damaged(const Fault &fault, std::span<const std::byte> was) {
    crash::Bytes bytes(was.begin(), was.end());
    std::uint64_t state = fault.offset;
    for (std::byte &byte : bytes) {
        switch (fault.damage) {
        case Damage::flip:
            byte ^= std::byte(1U << fault.bit);
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
        }
    }
    return bytes;
}

bool overlap(const Span &span, std::uint64_t offset, std::uint64_t length) {
    return span.offset < offset + length && offset < span.offset + span.length;
}

std::span<const std::byte> bytes_at(const Specimen &specimen, const Fault &fault) {
    return std::span<const std::byte>(specimen.images[0]).subspan(fault.offset, fault.length);
}

} // namespace

std::string to_string(const Fault &fault) {
    static constexpr const char *damages[] = {"", "zeros", "ones", "garbage"};
    std::string text = std::string(to_string(fault.place)) + " at block " +
                       std::to_string(fault.offset / block_size) + ", byte " +
                       std::to_string(fault.offset % block_size) + " (--at " +
                       std::to_string(fault.offset) + "), ";
    if (fault.damage == Damage::flip)
        return text + "bit " + std::to_string(fault.bit);
    return text + std::to_string(fault.length) + " bytes of " +
           damages[static_cast<unsigned>(fault.damage)];
}

std::vector<Fault> every_bit(const Specimen &specimen) {
    std::vector<Fault> faults;
    for (const Span &span : specimen.in_use)
        for (std::uint64_t at = span.offset; at < span.offset + span.length; ++at)
            for (std::uint8_t bit = 0; bit < 8; ++bit)
                faults.push_back({span.place, Damage::flip, bit, 1, at});
    return faults;
}

std::vector<Fault> every_piece(const Specimen &specimen, std::uint32_t bytes) {
    std::vector<Fault> faults;
    std::uint64_t done = 0; // pieces before this one are
    for (const Span &span : specimen.in_use)
        for (std::uint64_t piece = std::max(done, span.offset / bytes);
             piece * bytes < span.offset + span.length; ++piece) {
            done = piece + 1;
            if (overlap(specimen.newest, piece * bytes, bytes))
                continue;
            for (const Damage damage : {Damage::zeros, Damage::ones, Damage::garbage}) {
                const Fault fault{span.place, damage, 0, bytes, piece * bytes};
                const auto was = bytes_at(specimen, fault);
                if (!std::ranges::equal(was, damaged(fault, was)))
                    faults.push_back(fault);
            }
        }
    return faults;
}

void apply(const Fault &fault, crash::Scratch &scratch) {
    scratch.write(0, fault.offset,
                  damaged(fault, scratch.reference(0).subspan(fault.offset, fault.length)));
}

} // namespace daxpin::faults
