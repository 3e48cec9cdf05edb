"""Whatever call fails at whatever moment: an answer that is right, or one sentence; nothing half or
twice, and what is left on disks serves the next run. faults.py has the rules, tests/faults the shim.

In the default lane some moments of each call are tried, in the slow one all of them."""

import faults
import faults_lines
import faults_talks
from faults import WITH_SHIM
from harness import CliTest, main


class Matrix(CliTest):
    def tries(self, kind, most, kills=False):
        scenario = kind()
        tried, wrong = faults.matrix(scenario, most, kills)
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong[:40]))
        if most is None:
            counts = ", ".join(f"{call} {count}" for call, count in tried.items())
            print(f"{scenario.name}: {sum(tried.values())} {'kills' if kills else 'faults'}, "
                  f"0 wrong outcomes ({counts})")


@WITH_SHIM
class Faults(Matrix):
    def test_one_question(self):
        self.tries(faults.OneShot, 1)

    def test_one_question_slow(self):
        self.tries(faults.OneShot, None)

    def test_the_built_in_model(self):
        self.tries(faults.BuiltIn, 1)

    def test_the_built_in_model_slow(self):
        self.tries(faults.BuiltIn, None)

    def test_lines(self):
        self.tries(faults_lines.Pipe, 1)

    def test_lines_slow(self):
        self.tries(faults_lines.Pipe, None)

    def test_json_lines(self):
        self.tries(faults_lines.JsonLines, 1)

    def test_json_lines_slow(self):
        self.tries(faults_lines.JsonLines, None)

    def test_a_file_of_answers(self):
        self.tries(faults_lines.File, 1)

    def test_a_file_of_answers_slow(self):
        self.tries(faults_lines.File, None)

    def test_a_chat(self):
        self.tries(faults_talks.Chat, 1)

    def test_a_chat_slow(self):
        self.tries(faults_talks.Chat, None)

    def test_a_pull(self):
        self.tries(faults_talks.Pull, 1)

    def test_a_pull_slow(self):
        self.tries(faults_talks.Pull, None)

    def test_a_server(self):
        self.tries(faults_talks.Serve, 1)

    def test_a_server_slow(self):
        self.tries(faults_talks.Serve, None)


@WITH_SHIM
class Kills(Matrix):
    """kill -9 before and within each call that changes a file."""

    def test_one_question(self):
        self.tries(faults.OneShot, 1, kills=True)

    def test_one_question_slow(self):
        self.tries(faults.OneShot, None, kills=True)

    def test_a_file_of_answers(self):
        self.tries(faults_lines.File, 1, kills=True)

    def test_a_file_of_answers_slow(self):
        self.tries(faults_lines.File, None, kills=True)

    def test_a_chat(self):
        self.tries(faults_talks.Chat, 1, kills=True)

    def test_a_chat_slow(self):
        self.tries(faults_talks.Chat, None, kills=True)

    def test_a_pull(self):
        self.tries(faults_talks.Pull, 1, kills=True)

    def test_a_pull_slow(self):
        self.tries(faults_talks.Pull, None, kills=True)


if __name__ == "__main__":
    main()
