"""Tables: --csv COLUMN reads and writes what spreadsheets and Python's csv do."""

import csv
import io
import json
import signal

from harness import CliTest, main, model, run, slow_model, start

BAD = "x" * 100  # does not fit the context


class Csv(CliTest):
    def ask(self, table, *args, code=0, column="pergunta"):
        if isinstance(table, str):
            table = table.encode()
        got, out, err = run("-q", "-m", model(), "--seed", "1", "--max-new-tokens", "5",
                            "--temperature", "4", "--top-k", "0", "--top-p", "1", "--csv", column,
                            *args, stdin=table)
        self.assertEqual(got, code, err)
        return out.decode()

    def rows(self, text, **how):
        return list(csv.reader(io.StringIO(text, newline=""), strict=True, **how))

    def answers(self, *questions):
        """In JSON lines, where line breaks are kept as in a table."""
        lines = "".join(json.dumps({"question": one}) + "\n" for one in questions)
        out = self.json_lines("-q", "-m", model(), "--seed", "1", "--max-new-tokens", "5",
                              "--temperature", "4", "--top-k", "0", "--top-p", "1", "--jsonl",
                              stdin=lines)
        return [line["answers"][0]["text"] for line in out]

    def test_all_columns_and_the_answer(self):
        out = self.ask('id,pergunta,nota\n1,Olá?,a\n2,"um, dois",\n3,"diz ""sim""","b\nc"\n')
        rows = self.rows(out)
        self.assertEqual(rows[0], ["id", "pergunta", "nota", "answer", "error"])
        self.assertEqual([row[:3] for row in rows[1:]],
                         [["1", "Olá?", "a"], ["2", "um, dois", ""], ["3", 'diz "sim"', "b\nc"]])
        self.assertEqual([row[3] for row in rows[1:]],
                         self.answers("Olá?", "um, dois", 'diz "sim"'))
        self.assertEqual({row[4] for row in rows[1:]}, {""})

    def test_what_was_there_is_copied_as_it_was(self):
        out = self.ask('a,pergunta\n"x",Olá\ny, "Olá" \n')
        self.assertTrue(out.startswith('a,pergunta,answer,error\n"x",Olá,'), out)
        self.assertIn('\ny, "Olá" ,', out)

    def test_tables_as_brazilian_spreadsheets_write_them(self):
        table = 'nome;pergunta;nota\r\nJosé;"quanto é 1;2\r\nou 3,4?";7,5\r\nAna;oi;\r\n'
        out = self.ask(table)
        self.assertEqual(out.count("\r\n") - out.count("\n"), 0)
        rows = self.rows(out, delimiter=";")
        self.assertEqual(rows[0], ["nome", "pergunta", "nota", "answer", "error"])
        self.assertEqual(rows[1][:3], ["José", "quanto é 1;2\r\nou 3,4?", "7,5"])
        self.assertEqual([row[3] for row in rows[1:]],
                         self.answers("quanto é 1;2\r\nou 3,4?", "oi"))

    def test_tabs(self):
        rows = self.rows(self.ask("a,b\tc\tpergunta\n1\t\toi\n"), delimiter="\t")
        self.assertEqual([len(row) for row in rows], [5, 5])

    def test_a_header_in_quotes_asks_for_quotes(self):
        out = self.ask('"a","pergunta"\n"1","oi"\n')
        self.assertTrue(out.startswith('"a","pergunta","answer","error"\n"1","oi","'), out)
        self.assertTrue(out.endswith(',""\n'))

    def test_several_answers(self):
        rows = self.rows(self.ask("pergunta\noi\nolá\n", "-n", "2"))
        self.assertEqual(rows[0], ["pergunta", "answer_1", "answer_2", "error"])
        self.assertEqual([row[1] for row in rows[1:]], self.answers("oi", "olá"))
        self.assertNotEqual(rows[1][1], rows[1][2])

    def test_answers_are_quoted_where_they_must_be(self):
        questions = [f"p{i}" for i in range(300)]
        out = self.ask("pergunta\n" + "\n".join(questions), "--max-new-tokens", "40")
        self.assertTrue(any(letter in out for letter in ('"', "\r")))
        self.assertEqual({len(row) for row in self.rows(out)}, {3})

    def test_errors_have_a_column(self):
        out = self.ask(f"id,pergunta\n1,oi\n2,{BAD}\n3,um,dois\n4,oi\n", code=1)
        rows = self.rows(out)
        self.assertEqual([len(row) for row in rows], [4] * 5)
        self.assertEqual(rows[1][2], rows[4][2])
        self.assertRegex(rows[2][3], "too long")
        self.assertRegex(rows[3][3], r"^\[E173\] .*3 fields")
        self.assertEqual(rows[3][:3], ["3", "um", ""])

    def test_short_rows_and_empty_questions(self):
        rows = self.rows(self.ask("pergunta,b,c\noi\n\n,1,2\n"))
        self.assertEqual([row[:3] for row in rows[1:]],
                         [["oi", "", ""], ["", "", ""], ["", "1", "2"]])
        self.assertEqual([row[3] != "" for row in rows[1:]], [True, False, False])

    def test_no_last_newline_and_no_rows(self):
        self.assertEqual(self.ask("pergunta\noi"), self.ask("pergunta\noi\n"))
        self.assertEqual(self.ask("pergunta"), "pergunta,answer,error\n")

    def refused(self, table, says, column="pergunta"):
        self.assertIn(says, self.fail_with(1, "-q", "-m", model(), "--csv", column, stdin=table))

    def test_tables_that_cannot_be_read(self):
        self.refused("", "is empty")
        self.refused("a;b c\n1;2\n", 'no column "pergunta"; it has "a", "b c"')
        self.refused("pergunta,answer\noi,x\n", 'column "answer" already')

    def test_a_quote_without_end_costs_no_row_before_it(self):
        code, out, err = run("-q", "-m", model(), "--csv", "p", stdin='p\noi\n"um\ndois\n')
        self.assertEqual((code, out.count(b"\n")), (1, 2))
        self.assertIn("begins in line 3", err)

    def test_ctrl_c_leaves_whole_rows(self):
        process = start("-m", slow_model(), "--csv", "p", "--max-new-tokens", "100000")
        process.stdin.write(b'p\n""\noi\n')
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"p,answer,error\n")
        self.assertEqual(process.stdout.readline(), b'"",,\n')
        process.send_signal(signal.SIGINT)
        self.assertEqual((*process.communicate(), process.returncode), (b"", b"", -signal.SIGINT))


if __name__ == "__main__":
    main()
