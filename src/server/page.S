// The page of the web chat as data of the program.
        .section .rodata.aira_page, "a"
        .globl  aira_chat_page
        .type   aira_chat_page, %object
aira_chat_page:
        .incbin "chat.html"
        .globl  aira_chat_page_end
aira_chat_page_end:
        .byte   0
        .size   aira_chat_page, . - aira_chat_page

        .section .note.GNU-stack, "", %progbits
