"""What a raw file can be: containers (``csv_table``, ``json_lines``) and what stands in them (``messages``,
``question_answer``)."""
