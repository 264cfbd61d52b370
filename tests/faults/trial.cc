// SPDX-License-Identifier: BSD-3-Clause
#include "faults/trial.h"

#include "faults/use.h"
#include "faults/walk.h"
#include "tools/fsck/check.h"

#include <algorithm>

namespace daxpin::faults {

namespace {

class Attempt {
  public:
    Attempt(const Specimen &specimen, Order order, crash::Scratch &scratch, const Fault &fault)
        : specimen_(specimen), order_(order), scratch_(scratch), fault_(fault) {}

    Verdict run() {
        check_before_ = check();
        test::TestEnv env(77);
        volume::Options options;
        options.atime = volume::Atime::none;
        auto volume = volume::Volume::open(test::open_table(scratch_.media()), env, options);
        if (!volume)
            return judge_refusal(volume.error());
        work(**volume);
        volume->reset();
        return judge();
    }

  private:
    using Errors = std::vector<std::string>;

    Errors check() const {
        Errors errors;
        for (const auto &finding : fsck::check(test::open_table(scratch_.media())).findings)
            errors.push_back((finding.severity == fsck::Severity::error ? "" : "note: ") +
                             std::string(to_string(finding.subject)) + ": " + finding.text);
        std::ranges::sort(errors);
        return errors;
    }

    void note(const std::string &when, const std::string &problem) {
        if (problem_.empty() && !problem.empty())
            problem_ = when + ": " + problem;
    }

    void look(volume::Volume &volume, const crash::Dump &dump, const std::string &when) {
        static const std::set<std::uint64_t> nobody;
        const auto found = specimen_.inodes_in.find(fault_.offset / block_size);
        const Seen seen =
            walk(volume, dump, found == specimen_.inodes_in.end() ? nobody : found->second);
        damaged_ += seen.damaged;
        note(when, seen.problem);
    }

    void work(volume::Volume &volume) {
        crash::Dump dump = specimen_.dump;
        if (order_ == Order::look_first)
            look(volume, dump, "looking");
        note("using", use(volume, dump));
        look(volume, dump, "looking after use");
        note("deleting", delete_all(volume, dump));
        look(volume, dump, "looking after the deletions");
    }

    Verdict judge_refusal(const Error &error) {
        if (error.text.empty())
            return {refused, "refused without a reason"};
        if (check() != check_before_)
            return {refused, "a mount that failed has written"};
        if (check_before_.empty())
            return {refused, "refused, and fsck finds nothing: " + error.text};
        return {refused, {}};
    }

    Verdict judge() {
        if (!problem_.empty())
            return {contained, problem_};
        const Errors after = check();
        for (const std::string &error : after)
            if (!std::ranges::binary_search(check_before_, error))
                return {contained, "fsck after use: " + error};
        if (damaged_ > 0)
            return {contained,
                    check_before_.empty() ? "what answered EIO is not found by fsck" : ""};
        if (!after.empty())
            return {found_later, {}};
        return {check_before_.empty() ? harmless : repaired, {}};
    }

    const Specimen &specimen_;
    const Order order_;
    crash::Scratch &scratch_;
    const Fault fault_;
    Errors check_before_;
    std::string problem_;
    unsigned damaged_ = 0;
};

} // namespace

Trial make_trial(const Specimen &specimen, Order order) {
    return {{"harmless", "repaired", "contained", "refused", "found later"},
            [&specimen, order](crash::Scratch &scratch, const Fault &fault) {
                return Attempt(specimen, order, scratch, fault).run();
            }};
}

} // namespace daxpin::faults
