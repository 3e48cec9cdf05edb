// The completions for shells, each ended by a NUL, as data of the program.
        .macro  embed symbol, name
        .section .rodata.aira_completion, "a"
        .globl  \symbol
        .type   \symbol, %object
\symbol:
        .incbin "\name"
        .byte   0
        .size   \symbol, . - \symbol
        .endm

        embed   aira_completion_bash, "aira-cli.bash"
        embed   aira_completion_zsh, "_aira-cli"
        embed   aira_completion_fish, "aira-cli.fish"

        .section .note.GNU-stack, "", %progbits
