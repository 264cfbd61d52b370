// SPDX-License-Identifier: BSD-3-Clause
//
// What all test programs share with Catch2, compiled once: main, and how a case is skipped.
#define CATCH_CONFIG_RUNNER
#include "support/catch.h"

#include <cstdio>

namespace daxpin::test {

void skip(const std::string &why) {
    std::printf("skipped: %s: %s\n", Catch::getResultCapture().getCurrentTestName().c_str(),
                why.c_str());
    std::fflush(stdout);
}

} // namespace daxpin::test

// Catch2's own status is the number of failures, and 77 of them would mean "skipped" to whoever
// runs the program.
int main(int argc, char **argv) {
    Catch::Session session;
    if (session.applyCommandLine(argc, argv) != 0)
        return 2;
    auto &warnings = session.configData().warnings; // a name that no test case has is an error
    warnings = static_cast<Catch::WarnAbout::What>(warnings | Catch::WarnAbout::NoTests);
    return session.run() == 0 ? 0 : 1;
}
