// The messages in Portuguese, compiled by msgfmt, as data of the program; no messages where the file
// is empty.
        .section .rodata.aira_messages, "a"
        .balign 8
        .globl  aira_messages_pt_BR
        .type   aira_messages_pt_BR, %object
aira_messages_pt_BR:
        .incbin "pt_BR.mo"
        .quad   0, 0, 0
        .size   aira_messages_pt_BR, . - aira_messages_pt_BR

        .section .note.GNU-stack, "", %progbits
