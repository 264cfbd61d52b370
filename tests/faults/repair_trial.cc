// SPDX-License-Identifier: BSD-3-Clause
#include "faults/repair_trial.h"

#include "faults/compare.h"
#include "faults/use.h"
#include "tools/repair/repair.h"

#include <algorithm>
#include <cstring>

namespace daxpin::faults {

namespace {

using repair::Level;

// An inner node has nothing of its own: what is below it is found again.
bool hits_inner_node(const Specimen &specimen, const Fault &fault) {
    if (fault.place != Place::node || fault.damage == Damage::older)
        return false;
    format::NodeHeader header;
    const std::uint64_t node = fault.offset / block_size * block_size;
    std::memcpy(&header, specimen.images[0].data() + node, sizeof header);
    return header.level != 0;
}

std::set<std::uint64_t> inodes_that_may_lose(const Specimen &specimen, const Fault &fault) {
    return hits_inner_node(specimen, fault) ? std::set<std::uint64_t>{}
                                            : inodes_hit(specimen, fault);
}

class RepairAttempt {
  public:
    RepairAttempt(const Specimen &specimen, crash::Scratch &scratch, const Fault &fault)
        : specimen_(specimen), scratch_(scratch), fault_(fault),
          hit_(inodes_that_may_lose(specimen, fault)) {}

    Verdict run() {
        found_ = check();
        if (is_careful_one())
            repair_carefully();
        const auto outcome = repair(Level::all);
        note_done(outcome);
        judge_report(outcome);
        repair_again();
        const Verdict verdict = judge_content();
        return problem_.empty() ? verdict : Verdict{verdict.outcome, problem_};
    }

  private:
    void problem(const std::string &when, const std::string &what) {
        if (problem_.empty() && !what.empty())
            problem_ = when + ": " + what;
    }

    fsck::Report check() const { return fsck::check(test::open_table(scratch_.media())); }

    repair::Outcome repair(Level level) {
        auto devices = test::open_table(scratch_.media());
        return repair::repair(devices, env_, {level, {}});
    }

    void note_done(const repair::Outcome &outcome) {
        for (const auto &action : outcome.done)
            done_.push_back(action.text);
    }

    // Half of all faults, whatever the sample.
    bool is_careful_one() const {
        std::uint64_t state = fault_.offset * 8 + fault_.which + fault_.device;
        return (test::split_mix(state) & 1) != 0;
    }

    // -p loses no name and no byte; where it would have to, it leaves all but copies as they are.
    void repair_carefully() {
        const auto outcome = repair(Level::safe);
        note_done(outcome);
        if (outcome.after.errors > found_.errors)
            problem("after -p", "more errors than before");
        if (!outcome.after.clean())
            return;
        // What an older copy has lost was lost before.
        static const std::set<std::uint64_t> nobody;
        problem("after -p", compare_with(fault_.damage == Damage::older ? hit_ : nobody).problem);
    }

    void judge_report(const repair::Outcome &outcome) {
        for (const auto &failure : outcome.failed)
            problem("-y", failure);
        const auto after = check();
        for (const auto &finding : after.findings)
            if (finding.severity == fsck::Severity::error)
                return problem("-n after -y", finding.text);
        if (!after.clean())
            problem("-n after -y", "not clean");
    }

    void repair_again() {
        std::vector<crash::Bytes> before;
        for (const auto &media : scratch_.media())
            before.emplace_back(media->bytes().begin(), media->bytes().end());
        const auto outcome = repair(Level::all);
        if (!outcome.done.empty())
            problem("second -y", outcome.done.front().text);
        for (std::size_t i = 0; i < before.size(); ++i)
            if (!std::ranges::equal(before[i], scratch_.media()[i]->bytes()))
                problem("second -y", "something was written");
    }

    Comparison compare_with(const std::set<std::uint64_t> &hit) {
        test::TestEnv env(78);
        volume::Options options;
        options.atime = volume::Atime::none;
        options.read_only = true;
        auto volume = volume::Volume::open(test::open_table(scratch_.media()), env, options);
        if (!volume)
            return {"mount: " + describe(volume.error()), {}};
        auto dump = crash::take_dump(**volume);
        if (!dump)
            return {"mount: " + describe(dump.error()), {}};
        dump_ = std::move(*dump);
        return compare(specimen_.dump, dump_, hit);
    }

    Verdict judge_content() {
        const auto comparison = compare_with(hit_);
        problem("after -y", comparison.problem);
        if (problem_.empty() && fault_.damage != Damage::flip)
            use_it();
        if (found_.errors + found_.notes == 0)
            return judge_unnoticed(comparison);
        if (comparison.affected.empty())
            return {restored, {}};
        if (!is_reported(comparison))
            problem("-y", "the report does not say what was lost");
        return {partly, {}};
    }

    // Nothing contradicts an older copy: what was hit is as it is, or as it was.
    Verdict judge_unnoticed(const Comparison &comparison) {
        if (!done_.empty())
            problem("-y", "something was done and nothing found");
        if (comparison.affected.empty())
            return {unaffected, {}};
        if (fault_.damage != Damage::older)
            problem("-n", "nothing is found");
        else
            problem("after -y", neither(comparison.affected, dump_, specimen_.dump,
                                        specimen_.earlier[fault_.which].dump));
        return {stale, {}};
    }

    // Some finding or action names the unit, the journal, or the inode.
    bool is_reported(const Comparison &comparison) const {
        std::vector<std::string> texts = done_;
        for (const auto &finding : found_.findings)
            texts.push_back(finding.text);
        const auto named = [&](const std::string &word) {
            return std::ranges::any_of(
                texts, [&](const std::string &text) { return text.find(word) != text.npos; });
        };
        if (fault_.damage == Damage::older) // nobody can know what was there since
            return !found_.clean();
        if (fault_.place == Place::record)
            return named("journal");
        if (named("0:" + std::to_string(fault_.offset / block_size)))
            return true;
        return std::ranges::all_of(comparison.affected, [&](std::uint64_t number) {
            return named("inode " + std::to_string(number)) ||
                   named("directory " + std::to_string(number));
        });
    }

    // What a repair leaves is a volume like any other.
    void use_it() {
        test::TestEnv env(79);
        volume::Options options;
        options.atime = volume::Atime::none;
        auto volume = volume::Volume::open(test::open_table(scratch_.media()), env, options);
        if (!volume)
            return problem("mount", describe(volume.error()));
        crash::Dump dump = dump_;
        problem("using", use(**volume, dump));
        problem("deleting", delete_all(**volume, dump));
        if ((*volume)->damage().count > 0)
            problem("using", "damage was met");
        volume->reset();
        const auto after = check();
        if (!after.findings.empty())
            problem("-n after use", after.findings.front().text);
    }

    const Specimen &specimen_;
    crash::Scratch &scratch_;
    const Fault fault_;
    const std::set<std::uint64_t> hit_;
    test::TestEnv env_{77};
    fsck::Report found_; // by -n before anything was done
    std::vector<std::string> done_;
    crash::Dump dump_; // after -y
    std::string problem_;
};

} // namespace

Trial make_repair_trial(const Specimen &specimen) {
    return {{"unaffected", "restored", "partly", "stale"},
            [&specimen](crash::Scratch &scratch, const Fault &fault) {
                return RepairAttempt(specimen, scratch, fault).run();
            }};
}

} // namespace daxpin::faults
